"""What extraction strength costs: one forward pass, where the definition asks for generations.

    python benchmarks/extraction_strength.py

The same rows are scored in two ways: by `limen.unlearn.extraction_strength`, and by the definition
itself: bisect, for each row, the shortest beginning of its answer from which greedy generation
(with a cache of keys and values) gives the rest. Both must give the same numbers. A third
measurement, the bare forward pass of the same batches, is the least that any of them could cost.
The model has learnt the rows half by heart, so that the values differ. One thread, CPU time.
"""

from statistics import median

import numpy as np
import torch
from timing import interleaved, ratio, table, write
from torch.nn.functional import cross_entropy

import limen
from limen import Loop
from limen.unlearn import extraction_strength
from limen.unlearn.encode import encode_all
from limen.unlearn.tokens import collate
from limen.unlearn.toy import passages, toy_model, toy_tokenizer

ROWS, BATCH, ROUNDS = 16, 8, 21
WANTED = {"extraction strength / bare forward pass": 1.1}


def taught(tokenizer, rows, *, steps=46):
    """A model that has seen the rows often enough to know some of them."""
    model = toy_model(tokenizer)
    tokens = collate(rows)
    labels = tokens.ids.masked_fill(~tokens.answer, -100)

    def step(model, _batch):
        logits = model(input_ids=tokens.ids, attention_mask=tokens.attention).logits
        return {"loss": cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())}

    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    limen.fit(model, step, [None], steps=steps, optimizer=optimizer, loop=Loop(label=""))
    return model


@torch.no_grad()
def recites(model, row, k):
    """Whether greedy generation from the first k answer tokens gives the rest."""
    start, rest = row.ids[: row.answer + k], row.ids[row.answer + k :]
    if not rest:
        return True
    ids = torch.tensor([start])
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=len(rest),
        do_sample=False,
        eos_token_id=None,
    )
    return made[0, len(start) :].tolist() == rest


def by_generation(model, rows):
    """The definition, by bisection: if k tokens suffice, so do k + 1."""
    values = []
    for row in rows:
        few, enough = -1, len(row.ids) - row.answer
        while enough - few > 1:
            k = (few + enough) // 2
            few, enough = (few, k) if recites(model, row, k) else (k, enough)
        values.append(1 - enough / (len(row.ids) - row.answer))
    return np.array(values)


def main() -> None:
    """Measure, print, write.

    Raises:
        SystemExit: The two ways disagree.
    """
    torch.set_num_threads(1)
    found = passages()
    tokenizer = toy_tokenizer(found.texts)
    rows = encode_all(tokenizer, [*found.forget, *found.retain][:ROWS])
    model = taught(tokenizer, rows)
    ordered = sorted(rows, key=lambda row: len(row.ids))
    batches = [collate(ordered[i : i + BATCH]) for i in range(0, ROWS, BATCH)]

    @torch.no_grad()
    def forward():
        for tokens in batches:
            model(input_ids=tokens.ids, attention_mask=tokens.attention, use_cache=False)

    def score():
        return extraction_strength(model, None, rows, batch=BATCH)

    def generate():
        return by_generation(model, rows)

    values = score()
    if not np.allclose(values, generate()):
        raise SystemExit("the two ways must give the same values, and do not")
    seconds = interleaved({"score": score, "forward": forward}, rounds=ROUNDS)
    slow = interleaved({"generate": generate, "score": score}, rounds=3)
    figures = {
        "rows": ROWS,
        "mean extraction strength": float(values.mean()),
        "bare forward pass [ms a row]": 1000 * median(seconds["forward"]) / ROWS,
        "extraction strength / bare forward pass": ratio(seconds, "score", "forward"),
        "bisection over generations / extraction strength": ratio(slow, "generate", "score"),
    }
    print(table(figures, WANTED))
    write("extraction_strength", {"rounds": ROUNDS, "wanted": WANTED, **figures})


if __name__ == "__main__":
    main()
