/* Runs a program, or the cases of a batch one after the other, on a core that is just out of reset.
 * image.py says what lies where; a case's slot holds what it starts from and, afterwards, what it
 * ended with. A case may change everything but s31, which carries r0 past its end. */
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .equ HEADER, 0x20000000
    .equ CURRENT, 0  /* the slot at work */
    .equ END, 4      /* behind the last slot */
    .equ FAULT, 8    /* exception number, or 0; then the stacked pc */
    .equ HOST, 16    /* 1: a debugger's semihosting takes the memory; 0: sleep */
    .equ BYTES, 20   /* of memory, from HEADER, to hand over */
    .equ PROGRAM, 24 /* a function of the rounds, called once in place of cases; or 0 */
    .equ ROUNDS, 28
    .equ ENDED, 0x0E17DED0 /* in CURRENT, when the program has returned */
    .equ FLASH_ACR, 0x40023C00
    .equ PROGRAM_STACK, HEADER + 0x20000
    .equ LR, 52
    .equ STACK, 56
    .equ APSR, 60
    .equ FPSCR, 64
    .equ ENTRY, 68 /* at the end PRIMASK, BASEPRI, FAULTMASK */
    .equ SINGLES, 80
    .equ SLOT_BYTES, 1024

    .section .vectors, "a"
    .word HEADER + 1024, reset
    .rept 14
    .word fault
    .endr

    .text
    .thumb_func
    .global reset
reset:
    ldr r0, =0xE000ED88 /* CPACR */
    ldr r1, =0x00F00000
    str r1, [r0]
    dsb
    isb
    ldr r0, =HEADER
    ldr r1, [r0, #PROGRAM]
    cbz r1, next
    ldr r0, [r0, #ROUNDS]
    ldr r2, =PROGRAM_STACK
    mov sp, r2
    ldr r3, =FLASH_ACR
    ldr r4, =0x703 /* 3 wait states, prefetch, both caches: what 100 MHz asks for (RM0402, 3.4) */
    str r4, [r3]
    blx r1
    ldr r0, =HEADER
    ldr r1, =ENDED
    str r1, [r0, #CURRENT]
    b finish_run
next:
    ldr r0, =HEADER
    ldr r1, [r0, #CURRENT]
    ldr r2, [r0, #END]
    cmp r1, r2
    beq finish_run
    clrex
    movs r2, #0
    msr psp, r2
    add r2, r1, #SINGLES
    vldmia r2, {s0-s31}
    ldr r2, [r1, #FPSCR]
    vmsr fpscr, r2
    ldr r2, [r1, #APSR]
    msr apsr_nzcvqg, r2
    ldr r3, [r1, #STACK]
    mov sp, r3
    ldr r2, [r1, #ENTRY]
    str r2, [sp, #-8]
    ldr lr, [r1, #LR]
    ldmia r1, {r0-r12}
    ldr pc, [sp, #-8]

    .thumb_func
    .global finish_case
finish_case:
    vmov s31, r0
    ldr r0, =HEADER
    ldr r0, [r0, #CURRENT]
    str lr, [r0, #LR]
    add r0, r0, #4
    stmia r0, {r1-r12}
    sub r0, r0, #4
    vmov r1, s31
    str r1, [r0]
    mov r1, sp
    str r1, [r0, #STACK]
    mrs r1, apsr
    str r1, [r0, #APSR]
    vmrs r1, fpscr
    str r1, [r0, #FPSCR]
    mrs r1, primask
    str r1, [r0, #ENTRY]
    mrs r1, basepri
    str r1, [r0, #ENTRY + 4]
    mrs r1, faultmask
    str r1, [r0, #ENTRY + 8]
    movs r1, #0
    msr primask, r1
    msr basepri, r1
    msr faultmask, r1
    add r1, r0, #SINGLES
    vstmia r1, {s0-s30}
    ldr r2, =HEADER
    add r1, r2, #1024
    mov sp, r1
    add r0, r0, #SLOT_BYTES
    str r0, [r2, #CURRENT]
    b next

    .thumb_func
fault:
    ldr r0, =HEADER
    mrs r1, ipsr
    str r1, [r0, #FAULT]
    ldr r1, [sp, #24]
    str r1, [r0, #FAULT + 4]

    .thumb_func
    .global finish_run
finish_run:
    ldr r4, =HEADER
    ldr r0, [r4, #HOST]
    cbz r0, sleep
    adr r1, file
    movs r0, #1 /* SYS_OPEN */
    bkpt 0xAB
    ldr r2, [r4, #BYTES]
    sub sp, sp, #16
    stmia sp, {r0, r4}
    str r2, [sp, #8]
    mov r1, sp
    movs r0, #5 /* SYS_WRITE */
    bkpt 0xAB
    ldr r1, =0x20026 /* ADP_Stopped_ApplicationExit */
    movs r0, #0x18   /* SYS_EXIT */
    bkpt 0xAB
sleep:
    wfi
    b sleep

    .align 2
file:
    .word name, 4, 3 /* ":tt", "w", its length: standard output */
name:
    .asciz ":tt"
    .ltorg
