"""The part of the build that pyproject.toml cannot say: a compiled library without an interface to Python."""

import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))

import build_kernel


class BuildWithKernel(build_py):
    """Compiles the library into the wheel, or into the source tree for an editable installation."""

    def run(self) -> None:
        super().run()
        folder = Path() if self.editable_mode else Path(self.build_lib)
        build_kernel.build(folder / build_kernel.PACKAGE / build_kernel.LIBRARY)


class PlatformWheel(bdist_wheel):
    """One wheel for all versions of Python on a platform."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class PlatformDistribution(Distribution):
    """A distribution with compiled code."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    cmdclass={"build_py": BuildWithKernel, "bdist_wheel": PlatformWheel},
    distclass=PlatformDistribution,
    setup_requires=[] if build_kernel.found_compiler() else [build_kernel.ZIG],
)
