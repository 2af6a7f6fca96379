"""Measurements for tests that need one but no board."""

from harness.energy import Acquisition, Burst, Energy
from harness.measurement import Flash, Layer, Measurement, Output, Spread, Sram


def make_measurement(*, cycles: int = 100_000, sram_bytes: int = 9_000, **changes) -> Measurement:
    """A plausible measurement; `changes` replace fields."""
    fields = dict(
        board="nucleo_f412zg",
        via="virtual",
        timing="modelled",
        timing_model="pipeline-1",
        engine="aot",
        engine_version="1",
        compiler="gcc 12.2",
        flags="-O3",
        sysclk_hz=100_000_000,
        flash_wait_states=3,
        model_sha256="0" * 64,
        image_sha256="1" * 64,
        macs=50_000,
        cycles=Spread.of([cycles, cycles]),
        latency_us=Spread.of([cycles / 100, cycles / 100]),
        sram=Sram(sram_bytes - 1000, 400, 600, sram_bytes),
        flash=Flash(12_000, 8_000, 20_000, 9_000),
        layers=(Layer(0, "CONV_2D", "conv", 50_000, 2_000, cycles - 100),),
        output=Output("2" * 64, True, "tflite-micro"),
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=0.5,
    )
    return Measurement(**{**fields, **changes})


def make_energy(uj: float = 1000.0, *, meter: str = "lpm01a 7-8-9, firmware 1.0.6") -> Energy:
    """Of a unit that idles at 60 mW, by one burst of ten inferences of 10 ms."""
    idle = Acquisition(0.06, 100, 100.0, 3.3)
    burst = Burst(Acquisition(10e-6 * uj + 0.06 * 0.9, 100, 100.0, 3.3), 10, 0.1)
    return Energy.of(meter, 0.03, [idle], [burst])
