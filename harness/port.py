"""How is a serial port opened? So that nothing behind it is reset, and no read waits for long. The
only module that opens ports; knows nothing of what is said on them."""

from __future__ import annotations

import termios

import serial

POLL_S = 0.05  # one read waits no longer, so that deadlines are kept


class Port(serial.Serial):  # type: ignore[misc]
    """A serial port that leaves DTR and RTS alone: on some boards they are wired to the reset, and
    some probes connect the unit's line only while DTR is raised. Linux raises both when a port is
    first opened; pyserial would set them once more, and closing would lower them.

    Raises:
        OSError, ValueError, termios.error: it cannot be opened.
    """

    def open(self) -> None:
        super().open()
        attributes = termios.tcgetattr(self.fd)
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)

    def _update_dtr_state(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass
