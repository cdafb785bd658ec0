@ Runs code in RAM, rewrites it with stores of every kind, and runs it again. The results go to 0x20000100.
 .syntax unified
 .cpu cortex-m3
 .thumb
 .text
 .global start
 .equ LOG, 0x20000100
 .equ PLACE, 0x20001000

 .macro run
 blx r4
 stmia r6!, {r0, r1}
 .endm

 .word 0x20002000, start+1
 .thumb_func
start:
 ldr r6, =LOG
 ldr r5, =PLACE
 orr r4, r5, #1
 adr r0, victim
 ldmia r0, {r0-r3}
 stmia r5, {r0-r3}
 run

 movs r0, #2 @ the low byte of `movs r0, #`
 strb r0, [r5]
 run
 movw r0, #0x1122 @ the second half of `movw r1, #`
 strh r0, [r5, #4]
 run
 ldr r0, =0xf2402003
 str r0, [r5]
 run
 ldr r0, =0x001133f2 @ from the middle of one half to the middle of another
 str r0, [r5, #3]
 run
 ldr r0, =0xf2402004
 ldr r1, =0xbf001144
 stmia r5, {r0, r1}
 run
 ldr r0, =0xf2402005
 ldr r1, =0xbf001155
 strd r0, r1, [r5]
 run
 ldr r0, =0xf2402006
 ldr r1, =0xbf001166
 mov r7, sp
 add r2, r5, #8
 mov sp, r2
 push {r0, r1}
 mov sp, r7
 run
 ldrexh r1, [r5]
 movw r0, #0x2007
 strexh r1, r0, [r5]
 run

 @ A loop that rewrites its next instruction every time.
 adr r0, rewriting
 ldmia r0, {r0-r3}
 stmia r5, {r0-r3}
 add r3, r5, #10
 movw r2, #0x2000
 movs r7, #0
1: adds r2, #1
 blx r4
 adds r7, r7, r0
 cmp r7, #55
 bne 1b
 str r2, [r6], #4

 @ So does this one from inside; on its fifth turn the instruction becomes the return.
 adr r0, changing
 ldmia r0, {r0-r3}
 stmia r5, {r0-r3}
 movs r0, #0
 movw r2, #0xbf00
 blx r4
 str r0, [r6], #4
 bkpt #0

 .balign 4
victim:
 movs r0, #1
 movw r1, #0x111
 nop
 bx lr
 .balign 16
rewriting:
 strh r2, [r3]
 dsb
 isb
 movs r0, #0
 bx lr
 .balign 16
changing:
 adds r0, #1
 cmp r0, #5
 it eq
 movweq r2, #0x4770
 strh r2, [r5, #12]
 nop
 b changing
 .ltorg
