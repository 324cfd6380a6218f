"""vLLM's question "which adapter is called so?" answered from the registry."""

from __future__ import annotations

from http import HTTPStatus

from vllm.exceptions import GracefulHTTPError, VLLMNotFoundError, VLLMUnprocessableEntityError
from vllm.logger import init_logger
from vllm.lora.request import LoRARequest
from vllm.lora.resolver import LoRAResolver

from code_assistant_lora_resolver.adapters import Adapters, Deployment
from code_assistant_lora_resolver.errors import AdapterRefused, NoSuchAdapter, ResolveError
from code_assistant_lora_resolver.names import shown, version_of
from code_assistant_lora_resolver.plugin_settings import PluginSettings

logger = init_logger(f"vllm.plugins.{__name__}")  # below "vllm", whose handlers print it

NOT_ATTACHED = "vLLM was started without the resolver's endpoint plugin; set VLLM_PLUGINS=code_assistant_lora_resolver"


class RegisteredAdapterResolver(LoRAResolver):
    """Fetches what is named like a version of the registered model, and leaves every other name to vLLM."""

    def __init__(self, settings: PluginSettings) -> None:
        self.adapters = Adapters(settings)
        self._deployment: Deployment | None = None

    def attach(self, deployment: Deployment) -> None:
        """Begin to resolve for this server. Before it, a cached version could not be given up safely, so none is fetched."""
        self._deployment = deployment

    async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:
        """Return the request that loads the adapter, or None for a name that is not ours.

        What goes wrong is raised as the error of vLLM's that reaches the client with its sentence and the right status.
        """
        try:
            if version_of(lora_name, self.adapters.model) is None:
                return None
            if self._deployment is None:
                raise GracefulHTTPError(NOT_ATTACHED, HTTPStatus.SERVICE_UNAVAILABLE)
            folder = await self.adapters.folder(lora_name, base_model_name, self._deployment)
        except ResolveError as error:
            logger.warning("%s is not served: %s", shown(lora_name), error)
            raise _vllm_error(error) from None
        return LoRARequest(lora_name=lora_name, lora_int_id=1, lora_path=str(folder))  # vLLM sets the id


def _vllm_error(error: ResolveError) -> Exception:
    match error:
        case NoSuchAdapter():
            return VLLMNotFoundError(str(error))
        case AdapterRefused():
            return VLLMUnprocessableEntityError(str(error))
        case _:
            return GracefulHTTPError(str(error), HTTPStatus.SERVICE_UNAVAILABLE)
