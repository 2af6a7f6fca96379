"""What pyproject.toml cannot say: the C of the virtual board and of int8 networks is compiled with
the package.

Unicorn's headers come with its wheel, a build requirement; its library is loaded before the core
at run time (harness/virtual/core.py), so nothing is linked here.
"""

from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup


def unicorn_include() -> str:
    spec = find_spec("unicorn")
    if spec is None or spec.origin is None:
        raise SystemExit("building the virtual board needs the package unicorn==2.1.3")
    return str(Path(spec.origin).parent / "include")


CORE = Path("harness/virtual/core")

setup(
    ext_modules=[
        Extension(
            "harness.virtual._core",
            sources=sorted(str(path) for path in CORE.rglob("*.c")),
            depends=sorted(str(path) for path in CORE.rglob("*.h")),
            include_dirs=[unicorn_include()],
            extra_compile_args=[
                "-std=gnu11",
                "-O2",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-fvisibility=hidden",
            ],
        ),
        Extension(
            "search._integer_kernels",
            sources=["search/integer_kernels.c"],
            extra_compile_args=["-std=gnu11", "-O3", "-Wall", "-Wextra", "-Wno-psabi", "-Werror"],
        ),
    ]
)
