/* The memory protection unit's registers: DDI 0403, B3.5; DDI 0439, 4.2. They remember what is
 * written; no access is refused by it, and firmware that switches it on is told of once. */
#include "machine.h"

/* Offsets from PPB_BASE. */
enum { MPU_TYPE = 0xED90, MPU_CTRL = 0xED94, MPU_RNR = 0xED98, MPU_RBAR = 0xED9C };
enum { MPU_END = 0xEDBC, RBAR_VALID = 1u << 4, RBAR_REGION = 0xF };
#define CTRL_MASK 0x7u
#define RASR_MASK 0x173FFF3Fu /* XN, AP, TEX, S, C, B, SRD, SIZE, ENABLE */

/* RBAR and RASR are there four times, so that an STM writes several regions. */
static bool is_base(uint32_t offset) { return (offset - MPU_RBAR) % 8 == 0; }

bool read_mpu(const Machine *m, uint32_t offset, uint32_t *word) {
    const Mpu *mpu = &m->mpu;
    if (offset < MPU_TYPE || offset >= MPU_END)
        return false;
    if (offset == MPU_TYPE)
        *word = MPU_REGIONS << 8;
    else if (offset == MPU_CTRL)
        *word = mpu->control;
    else if (offset == MPU_RNR)
        *word = mpu->region;
    else
        *word =
            is_base(offset) ? mpu->base[mpu->region] | mpu->region : mpu->attributes[mpu->region];
    return true;
}

bool write_mpu(Machine *m, uint32_t offset, uint32_t value) {
    Mpu *mpu = &m->mpu;
    if (offset < MPU_TYPE || offset >= MPU_END)
        return false;
    if (offset == MPU_CTRL) {
        mpu->control = value & CTRL_MASK;
        if ((value & 1) && !m->port.visiting)
            notice(m, NOTICE_UNMODELLED, PPB_BASE + MPU_CTRL);
    } else if (offset == MPU_RNR) {
        mpu->region = value % MPU_REGIONS;
    } else if (offset != MPU_TYPE && is_base(offset)) {
        if (value & RBAR_VALID)
            mpu->region = (value & RBAR_REGION) % MPU_REGIONS;
        mpu->base[mpu->region] = value & ~0x1Fu;
    } else if (offset != MPU_TYPE) {
        mpu->attributes[mpu->region] = value & RASR_MASK;
    }
    return true;
}
