"""How a function becomes a KFP component of this project."""

import functools

from kfp import dsl

from cia.settings import load_settings

_settings = load_settings()
component = functools.partial(
    dsl.component, base_image=_settings.cluster.image(_settings.pipeline.image), install_kfp_package=False
)
"""``dsl.component`` in the project's image. The image holds the project and kfp, so nothing is installed at run time."""
