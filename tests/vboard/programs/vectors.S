@ Runs the cases of a table at 0x08000200: each is the address of its code, the flags, and r0 to r10. For each
@ it leaves r0 to r10, the flags, and the 64 bytes at 0x20000000 in a list that starts at 0x20000100. The code
@ ends with `bx r11`. The table ends with an address of 0.
 .syntax unified
 .cpu cortex-m3
 .thumb
 .text
 .global start
 .equ TABLE, 0x08000200
 .equ SCRATCH, 0x20000000
 .equ VARIABLES, 0x200000F0
 .equ OUTPUT, 0x20000100
 .word 0x20004000, start+1
 .thumb_func
start:
 ldr r0, =VARIABLES
 ldr r1, =TABLE
 ldr r2, =OUTPUT
 stmia r0, {r1, r2}

next:
 ldr r0, =SCRATCH
 movs r1, #0
 ldr r2, =0x83c5a7e9
1: str r2, [r0, r1]
 add r2, r2, r2, ror #7
 adds r1, #4
 cmp r1, #64
 bne 1b
 ldr r11, =VARIABLES
 ldr r12, [r11]
 add r0, r12, #52
 str r0, [r11]
 ldr r11, [r12], #4
 cmp r11, #0
 beq finish
 orr lr, r11, #1
 ldr r0, [r12], #4
 msr apsr_nzcvq, r0
 ldmia r12, {r0-r10}
 adr r11, back
 orr r11, #1
 bx lr
 .balign 4
 .thumb_func
back:
 ldr r12, =VARIABLES
 ldr r12, [r12, #4]
 stmia r12!, {r0-r10}
 mrs r0, apsr
 and r0, r0, #0xf8000000
 str r0, [r12], #4
 ldr r0, =SCRATCH
 movs r1, #16
2: ldr r2, [r0], #4
 str r2, [r12], #4
 subs r1, #1
 bne 2b
 ldr r0, =VARIABLES
 str r12, [r0, #4]
 b next

finish:
#ifdef LINUX
 ldr r1, =OUTPUT
 ldr r2, =VARIABLES
 ldr r2, [r2, #4]
 subs r2, r2, r1
 movs r0, #1
 movs r7, #4
 svc #0
 movs r0, #0
 movs r7, #1
 svc #0
#endif
 bkpt #0
 .ltorg
