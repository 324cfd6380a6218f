"""Load on a model server, or on the answer server, that arrives as load does: whether or not the last answer has come.

Users do not wait for each other. A generator that sends its next request when the last one is answered (a closed loop) slows down
with the server: a stall of ten seconds costs it one slow request instead of all those that would have come meanwhile, and its
percentiles look fine (Gil Tene's "coordinated omission"). So arrivals here are drawn beforehand (an open loop), and every time is
counted from when a request was due, not from when it was sent. The figures are those that ``vllm bench serve`` and GuideLLM give
too; neither speaks to ``/v1/ask``, nor shows the replicas of an InferenceService beside them.
"""

from inference_services.load.arrivals import Stage, parse_stages
from inference_services.load.client import Target, parse_target
from inference_services.load.generator import generate
from inference_services.load.report import Interval, LoadReport

__all__ = ["Interval", "LoadReport", "Stage", "Target", "generate", "parse_stages", "parse_target"]
