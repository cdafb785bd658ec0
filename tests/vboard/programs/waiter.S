@ Waits, without a store, until the word at 0x20000100 is no longer zero; then sleeps, and stops when woken.
 .syntax unified
 .cpu cortex-m3
 .thumb
 .text
 .global start
 .word 0x20005000, start+1
 .thumb_func
start:
 ldr r0, =0x20000100
1: ldr r1, [r0]
 cmp r1, #0
 beq 1b
 movs r2, #2
 cpsid i
 wfi
 movs r2, #3
 bkpt #0
 .ltorg
