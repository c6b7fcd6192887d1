"""inspect_ai: a task of samples, one generation each, a scorer of label sets with two metrics, its own log and cache.

With `--answers FOLDER` it writes down what the newest log has, which the package alone can read.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from peers.contender import BENCHMARKS, Contender, Work, adapter, missing_module
from peers.task import BEFORE, MODEL, Outcome, labels_in, read_answers, read_samples, write_answers


def outcome(work: Work) -> Outcome:
    """Have the log read by the package that wrote it."""
    command = adapter("with_inspect_ai", "--answers", str(work.folder), python=work.python)
    subprocess.run(command, cwd=BENCHMARKS, check=True, stdout=subprocess.DEVNULL)
    return read_answers(work.folder)


CONTENDER = Contender(
    "inspect_ai",
    command=lambda work: adapter("with_inspect_ai", *work.arguments(), python=work.python),
    outcome=outcome,
    scores="sets: exact, Jaccard",
    caches=True,
    missing=missing_module("inspect_ai"),
    slow=True,
    environment=lambda work: {"XDG_CACHE_HOME": str(work.folder), "XDG_DATA_HOME": str(work.folder)},
)


def main(url: str, data: str, folder: str, concurrency: str) -> None:
    """Evaluate the task; the log is its result."""
    from inspect_ai import Task, eval  # noqa: A004
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import get_model
    from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
    from inspect_ai.solver import TaskState, generate

    @scorer(metrics={"exact": [mean()], "jaccard": [mean()]})  # type: ignore[untyped-decorator, unused-ignore]
    def sets() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            said, wanted = labels_in(state.output.completion), labels_in(target.text)
            return Score(value={"exact": float(said == wanted), "jaccard": len(said & wanted) / len(said | wanted)})

        return score

    samples = [
        Sample(id=sample.id, input=BEFORE + sample.text, target=", ".join(sample.labels))
        for sample in read_samples(Path(data))
    ]
    logs = eval(
        Task(dataset=MemoryDataset(samples), solver=generate(cache=True), scorer=sets()),
        model=get_model(f"openai/{MODEL}", base_url=url, api_key="none", responses_api=False),
        max_connections=int(concurrency),
        max_samples=int(concurrency),
        display="none",
        log_realtime=False,  # written to its log alone, and not to the database that a viewer follows too
        log_dir=str(Path(folder) / "logs"),
    )
    if logs[0].status != "success":
        sys.exit(f"inspect_ai: {logs[0].error}")


def answers_of(folder: Path) -> None:
    """Write down what the newest log has."""
    from inspect_ai.log import read_eval_log

    log = read_eval_log(str(max((folder / "logs").iterdir(), key=lambda path: path.stat().st_mtime_ns)))
    exact = next(score for score in log.results.scores if score.name == "exact").metrics["mean"].value
    write_answers(folder, {str(sample.id): sample.output.completion for sample in log.samples}, exact)


if __name__ == "__main__":
    if sys.argv[1] == "--answers":
        answers_of(Path(sys.argv[2]))
    else:
        main(*sys.argv[1:])
