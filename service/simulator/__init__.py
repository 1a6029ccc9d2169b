"""An OpenAI-compatible server that simulates a language model, for load and fault tests.

Its replies have the format that each stage expects, but no meaning. The model name in every response says so:
`seedstream-simulator`. Endpoints, options and their names follow llm-d-inference-sim. The text is a function of the
seed and the prompt:

    async with serve(SimulatorOptions(seed=7)) as simulator:
        ...  # any OpenAI client at simulator.url
"""

from service.simulator.options import SimulatorOptions as SimulatorOptions
from service.simulator.server import serve as serve
from service.simulator.state import Simulator as Simulator

__all__ = ["Simulator", "SimulatorOptions", "serve"]
