@ Exceptions of every kind; each leaves words in a log at 0x20000100, which the test compares.
 .syntax unified
 .cpu cortex-m3
 .thumb
 .equ LOG, 0x20000100
 .equ SCB, 0xE000ED00
 .equ NVIC, 0xE000E100
 .equ SYSTICK, 0xE000E010

 .macro log value
 movw r7, #\value
 str r7, [r6], #4
 .endm

 .word 0x20002000, start+1, stray+1, hard_fault+1, stray+1, bus_fault+1, usage_fault+1, stray+1
 .word stray+1, stray+1, stray+1, svcall+1, stray+1, stray+1, pendsv+1, systick+1
 .word line0+1, line1+1, line2+1

 .global start
 .thumb_func
start:
 ldr r6, =LOG
 ldr r5, =SCB
 ldr r4, =NVIC

 @ SVC: the frame holds the registers, and what the handler puts into it comes back.
 movs r0, #1
 movs r1, #2
 svc #5
 str r0, [r6], #4

 @ PendSV pended by SVC runs after it (both return here).
 movs r0, #0x40
 strb r0, [r5, #0x1F]
 movs r0, #0xF0
 strb r0, [r5, #0x22]
 svc #6
 log 0x100

 @ Lines 0 and 2 share a priority, line 1 preempts them.
 ldr r0, =0x00804080
 ldr r1, =NVIC + 0x300
 str r0, [r1]
 movs r0, #7
 str r0, [r4]
 movs r0, #1
 str r0, [r4, #0x100]
 nop
 log 0x101

 @ PRIMASK holds line 1 back.
 cpsid i
 movs r0, #2
 str r0, [r4, #0x100]
 nop
 log 0x102
 cpsie i
 nop
 log 0x103

 @ BASEPRI holds line 2 back, but not line 1.
 movs r0, #0x80
 msr basepri, r0
 movs r0, #6
 str r0, [r4, #0x100]
 nop
 log 0x104
 movs r0, #0
 msr basepri, r0
 nop
 log 0x105

 @ From the process stack.
 ldr r0, =0x20001800
 msr psp, r0
 movs r0, #2
 msr control, r0
 isb
 svc #7
 mrs r0, control
 str r0, [r6], #4
 movs r0, #0
 msr control, r0
 isb

 @ Faults with their own handlers: undefined, divide by zero, unaligned, bus, coprocessor, ARM state.
 ldr r0, =0x00070000
 str r0, [r5, #0x24]
 movs r0, #0x18
 str r0, [r5, #0x14]
 udf #1
 nop
 movs r1, #0
 sdiv r0, r5, r1
 ldr r0, =0x20000003
 ldr.w r1, [r0]
 ldr r0, =0x60000000
 ldr.w r1, [r0]
 mcr p1, 0, r0, c1, c2, 0
 movs r0, #0
 str r0, [r5, #0x14]
 @ The same bus fault without its handler is a HardFault.
 movs r0, #0
 str r0, [r5, #0x24]
 ldr r0, =0x60000004
 ldr.w r1, [r0]

 @ Unprivileged code may not see the system control space, nor unmask itself.
 movs r0, #1
 msr control, r0
 isb
 movs r0, #0
 msr control, r0
 cpsid i
 ldr.w r1, [r5]
 mrs r0, primask
 str r0, [r6], #4
 mrs r0, control
 str r0, [r6], #4
 svc #8
 mrs r0, control
 str r0, [r6], #4

 @ Three ticks, awake, and one that ends a sleep.
 ldr r3, =SYSTICK
 ldr r0, =999
 str r0, [r3, #4]
 str r0, [r3, #8]
 movs r2, #0
 movs r0, #7
 str r0, [r3]
1: cmp r2, #3
 bne 1b
 log 0x106
 wfi
 log 0x107
 movs r0, #0
 str r0, [r3]
 str r2, [r6], #4

 @ WFE returns at once after SEV. WFI returns for a pending line even with PRIMASK set.
 sev
 wfe
 cpsid i
 movs r0, #2
 str r0, [r4, #0x100]
 wfi
 log 0x108
 cpsie i
 nop
 log 0x109
 mrs r0, ipsr
 str r0, [r6], #4
 str sp, [r6], #4
 bkpt #0

svcall:
 tst lr, #4
 ite eq
 mrseq r0, msp
 mrsne r0, psp
 ldr r1, [r0, #24]
 ldrb r1, [r1, #-2]
 str r1, [r6], #4
 str lr, [r6], #4
 cmp r1, #5
 bne 2f
 ldr r2, [r0]
 str r2, [r6], #4
 ldr r2, [r0, #4]
 str r2, [r6], #4
 movw r2, #0x1234
 str r2, [r0]
2: cmp r1, #6
 bne 3f
 mov r2, #0x10000000
 str r2, [r5, #4]
 nop
 log 0x200
3: cmp r1, #8
 bne 4f
 movs r2, #0
 msr control, r2
4: bx lr

pendsv:
 log 0x201
 bx lr

line0:
 log 0x210
 movs r0, #6
 str r0, [r4, #0x100]
 nop
 log 0x211
 bx lr

line1:
 push {lr}
 mrs r0, ipsr
 str r0, [r6], #4
 str lr, [r6], #4
 pop {pc}

line2:
 log 0x230
 bx lr

 @ Log what happened and step over the 32-bit instruction.
hard_fault:
 ldr r7, [r5, #0x2C]
 str r7, [r6], #4
 str r7, [r5, #0x2C]
bus_fault:
 ldr r7, [r5, #0x38]
 str r7, [r6], #4
usage_fault:
 ldr r7, [r5, #0x28]
 str r7, [r6], #4
 str r7, [r5, #0x28]
 ldr r7, [sp, #24]
 adds r7, #4
 str r7, [sp, #24]
 bx lr

systick:
 adds r2, #1
 @ r2 is not saved across the exception; the frame's copy is what comes back.
 str r2, [sp, #8]
 bx lr

stray:
 log 0xBAD
 bkpt #1
 b stray
 .ltorg
