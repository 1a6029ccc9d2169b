"""A stand-in for a language model: an OpenAI-compatible server for load and fault tests.

What it writes has the shape that each stage expects and no meaning. It says so in its name, `seedstream-simulator`,
which every answer carries. Endpoints, knobs and their names follow llm-d-inference-sim; the text is a function of seed
and prompt:

    async with serve(SimulatorOptions(seed=7)) as simulator:
        ...  # any OpenAI client at simulator.url
"""

from service.simulator.options import SimulatorOptions as SimulatorOptions
from service.simulator.server import serve as serve
from service.simulator.state import Simulator as Simulator

__all__ = ["Simulator", "SimulatorOptions", "serve"]
