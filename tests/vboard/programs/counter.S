@ Counts in RAM for ever, through a subroutine: something to step, to stop and to watch.
 .syntax unified
 .cpu cortex-m3
 .thumb
 .text
 .global start
 .word 0x20005000, start+1
 .thumb_func
start:
 movs r1, #0
 ldr r0, =0x20000100
 str r1, [r0]
loop:
 bl increment
 b loop
increment:
 ldr r1, [r0]
 adds r1, #1
 str r1, [r0]
 bx lr
 .ltorg
