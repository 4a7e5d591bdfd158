"""What a step of GRU costs, in time and memory, beside two backward passes of a plain sum.

    python benchmarks/gru_step.py

A Llama of about a million parameters, eight rows of 64 tokens, one thread, CPU time; every ratio
is the median over rounds in which the variants take turns. Memory counts what a step allocates
and holds beyond the weights, in copies of the trainable parameters, at the worst moment: with so
few tokens that activations do not matter; with plain gradient descent, which allocates nothing;
and with embeddings untied, because autograd adds the two gradients of a tied one out of place.
"""

from statistics import median

import torch
from timing import interleaved, ratio, table, write
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import limen
from limen import Loop, ParamVector, Rectify
from limen.unlearn.toy import passages, toy_model, toy_tokenizer

STEPS, ROUNDS = 2, 31
WANTED = {
    "GRU on the gradient / two backward passes": 1.10,
    "GRU on the update / two backward passes": 1.30,
    "fit / the same loop by hand": 1.03,
    "memory of GRU on the gradient [copies]": 2.2,
    "memory of GRU on the update [copies]": 4.2,
}


class Allocated(TorchDispatchMode):
    """The most bytes that tensors made inside have held at once."""

    def __init__(self):
        super().__init__()
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: PLR0917
        given = {
            leaf.untyped_storage()._cdata
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor)
        }
        made = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in given:
                    self.live[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.live = {key: held for key, held in self.live.items() if not held[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return made


def losses(model, batch):
    """Ascent on one half of the rows, descent on the other."""
    forget, retain = batch
    return {
        "forget": lambda: -model(input_ids=forget, labels=forget).loss,
        "retain": lambda: model(input_ids=retain, labels=retain).loss,
    }


def plain(model, optimizer, batch):
    """Two backward passes of a plain sum, by hand."""
    optimizer.zero_grad()
    for loss in losses(model, batch).values():
        loss().backward()
    optimizer.step()


def gru(on):
    """Steps of `Rectify`, by hand."""
    combine = Rectify(goal="forget", guard="retain", on=on)

    def step(model, optimizer, batch):
        combine.begin(model)
        combine.backward(losses(model, batch))
        combine.finish()
        before = ParamVector.of(model).copy() if combine.needs_before else None
        optimizer.step()
        combine.updated(before)

    return step


class Variant:
    """One way to take steps, with a model and an optimiser of its own."""

    def __init__(self, step, tokenizer, *, untied=False):
        self.model = toy_model(tokenizer).train()
        if untied:
            head = self.model.lm_head
            head.weight = torch.nn.Parameter(head.weight.detach().clone())
        kind = torch.optim.SGD if untied else torch.optim.AdamW
        self.optimizer = kind(self.model.parameters(), 1e-4)
        self.step = step

    def __call__(self, batches):
        for batch in batches:
            self.step(self.model, self.optimizer, batch)


def fitted(model, optimizer, batches):
    """The same loop as `plain`, by `fit`."""
    limen.fit(model, losses, batches, steps=len(batches), optimizer=optimizer, loop=Loop(label=""))


def copies(step, tokenizer, batch):
    """Copies of the parameters that a step holds at the worst moment of its second window."""
    variant = Variant(step, tokenizer, untied=True)
    with Allocated() as allocated:
        variant([batch, batch])
    return allocated.peak / sum(p.nbytes for p in variant.model.parameters())


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    tokenizer = toy_tokenizer(passages().texts)
    draw = torch.Generator().manual_seed(0)

    def batch(rows, length):
        shape = (2, rows, length)
        return tuple(torch.randint(0, len(tokenizer), shape, generator=draw))

    batches = [batch(8, 64) for _ in range(STEPS)]
    by_hand = Variant(plain, tokenizer)
    fits = Variant(fitted, tokenizer)
    gradient, update = (Variant(gru(on), tokenizer) for on in ("gradient", "update"))
    seconds = interleaved(
        {
            "plain": lambda: by_hand(batches),
            "gradient": lambda: gradient(batches),
            "update": lambda: update(batches),
            "fit": lambda: fits([batches]),
        },
        rounds=ROUNDS,
    )
    short = batch(1, 2)
    figures = {
        "two backward passes [ms a step]": 1000 * median(seconds["plain"]) / STEPS,
        "GRU on the gradient / two backward passes": ratio(seconds, "gradient", "plain"),
        "GRU on the update / two backward passes": ratio(seconds, "update", "plain"),
        "fit / the same loop by hand": ratio(seconds, "fit", "plain"),
        "memory of two backward passes [copies]": copies(plain, tokenizer, short),
        **{
            f"memory of GRU on the {on} [copies]": copies(gru(on), tokenizer, short)
            for on in ("gradient", "update")
        },
    }
    print(table(figures, WANTED))
    write("gru_step", {"rounds": ROUNDS, "wanted": WANTED, **figures})


if __name__ == "__main__":
    main()
