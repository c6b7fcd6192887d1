"""What differs between runs beside the words of their prompts, in sentences for people."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from harness.errors import listing
from harness.identity import canonical
from harness.parsing import Output
from harness.prompt import Pass
from harness.store import Manifest


def differences(manifests: Sequence[Manifest], names: Sequence[str]) -> list[str]:
    """Return what differs between runs beside the prompt's words, a sentence each; names are what the runs are called."""
    every = list(zip(names, manifests, strict=True))
    prompted = [(name, each) for name, each in every if each.origin is None]  # the others were asked nothing

    def of(what: str, value: Any, told: Sequence[tuple[str, Manifest]] = prompted) -> str | None:
        values = [value(manifest) for _, manifest in told]
        if len(set(map(str, values))) <= 1:
            return None
        return f"{what}: " + ", ".join(f"{name} {each}" for (name, _), each in zip(told, values, strict=True))

    def alike(what: str) -> bool:
        return len({getattr(manifest, what) for _, manifest in prompted}) == 1

    embedded = [(name, each) for name, each in prompted if _engine_settings(each)]
    engine = {setting for _, each in embedded for setting in _engine_settings(each)}
    found = [
        of("model", lambda manifest: " + ".join(manifest.models), every),
        of("params", _params),
        of("engine", lambda manifest: "embedded" if _engine_settings(manifest) else "none"),
        *(
            # A server has no such setting: that it has none is told once, above, not setting by setting.
            of(name.replace("_", " "), partial(_of_server, name), embedded if name in engine else prompted)
            for name in _server_settings(manifests)
        ),
        of("served model", lambda manifest: " + ".join(manifest.served)) if alike("models") else None,
        of("dataset", lambda manifest: manifest.dataset, every),
        of("split", lambda manifest: manifest.split, every),
        of("shots", lambda manifest: " + ".join(map(_shots, manifest.prompt.passes))),
        of("output format", lambda manifest: " + ".join(_written(each.output) for each in manifest.prompt.passes)),
        of("asked", lambda manifest: " + ".join(map(_asked, manifest.prompt.passes))),
        of("threshold", lambda manifest: " + ".join(_threshold(each.output) for each in manifest.prompt.passes)),
        of("constrained", _constrained),
        of("repeats", lambda manifest: manifest.repeats, every),
        of("answers drawn again", lambda manifest: " + ".join(manifest.redrawn) or "none"),
    ]
    if len({manifest.hashes["labels"] for _, manifest in prompted if "labels" in manifest.hashes}) > 1:
        found.append("labels: their descriptions, aliases, groups or order differ between the runs")
    return [each for each in found if each is not None]


def _server_settings(manifests: Sequence[Manifest]) -> list[str]:
    """Return which settings of servers and engines the runs have."""
    names = (name for manifest in manifests for endpoint in manifest.endpoints.values() for name in endpoint)
    return list(dict.fromkeys(names))


def _engine_settings(manifest: Manifest) -> set[str]:
    """Return the settings that only an embedded model's engine has; none where every pass asks a server."""
    local = (endpoint for endpoint in manifest.endpoints.values() if "gguf" in endpoint)
    return {name for endpoint in local for name in endpoint if name != "api"}


def _of_server(name: str, manifest: Manifest) -> str:
    """Return a setting of the servers that a run asked, of a hash its beginning."""
    values = [str(endpoint[name])[:64] for endpoint in manifest.endpoints.values() if name in endpoint]
    return " + ".join(dict.fromkeys(value[:12] if len(value) == 64 else value for value in values)) or "none"


def _shots(each: Pass) -> str:
    if each.shots is None:
        return "none"
    return f"the nearest {each.shots.nearest.k}" if each.shots.nearest else str(len(each.shots.samples))


def _written(output: Output) -> str:
    """Return how a pass wants its answer written: format, options and fields."""
    said = [f"{name} {value if isinstance(value, str) else canonical(value)}" for name, value in output.options.items()]
    said += [f"with {listing(output.fields)}"] if output.fields else []
    return f"{output.format} ({', '.join(said)})" if said else output.format


def _asked(each: Pass) -> str:
    """Return what one call of a pass is about, and how often it is drawn."""
    votes = "" if each.votes is None else f", {each.votes.k} votes, {each.votes.how}"
    return f"per {each.per}{votes}"


def _constrained(manifest: Manifest) -> str:
    """Return what constrained the answers of each pass; where its units differ, each form once."""
    told = []
    for each in manifest.prompt.passes:
        form = manifest.constrained.get(each.name, "no")
        told.append(form if isinstance(form, str) else " or ".join(sorted(set(form.values()))))
    return " + ".join(told)


def _threshold(output: Output) -> str:
    if not output.has_thresholds:
        return "none"
    default = [] if output.threshold is None else [f"{output.threshold:g}"]
    return " ".join([*default, *(f"{name} {value:g}" for name, value in output.thresholds.items())])


def _params(manifest: Manifest) -> str:
    """Return the params of the passes, once where all have the same."""
    params = [canonical(dict(each.model.params)) for each in manifest.prompt.passes]
    return params[0] if len(set(params)) == 1 else " + ".join(params)
