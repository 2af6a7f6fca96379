"""Run a program in LabWired: `python labwired_run.py ELF SRAM CHIP LIMIT_S`, of a Python with it.

Stands alone: imports nothing of hilnas. SRAM is a file with what memory holds at the start. Prints
JSON: host seconds until the program's last store (null when it did not come in time), and how far
LabWired's own clock got.
"""

import json
import struct
import sys
import time

from labwired import Sim

SRAM, ENDED = 0x20000000, 0x0E17DED0  # runner.S: CURRENT
SLICE = "1ms"


def main() -> None:
    elf, sram, chip, limit = sys.argv[1:]
    with open(sram, "rb") as file:
        memory = file.read()
    with Sim(elf, chip=chip) as simulator:
        for offset in range(0, len(memory) - 3, 4):
            (word,) = struct.unpack_from("<I", memory, offset)
            if word:
                simulator.write_u32(SRAM + offset, word)
        start = time.perf_counter()
        ended = False
        while not ended and time.perf_counter() - start < float(limit):
            simulator.run_for(SLICE)
            ended = simulator.read_u32(SRAM) == ENDED
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds if ended else None, "cycles": simulator.cycles}))


main()
