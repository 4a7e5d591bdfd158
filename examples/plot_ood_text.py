"""
Text: topics that a small BERT has never read about
===================================================

What works on pictures works on whatever a classifier with a linear head takes. Here a small BERT,
built from a configuration and trained from nothing, tells four topics of Python's own
documentation apart. Then it is asked about other topics, and about wine, flowers and tumours.
"""

# %%
# Passages of documentation
# -------------------------
# Four topics are known; every third passage is kept for the test. Auxiliary outliers are passages
# of other topics of the same manual; to be caught are topics that are in neither (near), and
# scikit-learn's descriptions of its data (far).

import copy
from functools import partial
from pydoc_data.topics import topics

import torch
from sklearn import datasets
from transformers import BertConfig, BertForSequenceClassification

import limen
from limen import FeatureBank, ood
from limen.unlearn.toy import toy_tokenizer

torch.set_num_threads(1)
KNOWN = ("string-methods", "specialnames", "debugger", "formatstrings")
AUXILIARY = ("types", "comparisons", "import", "assignment", "operator-summary", "compound")
NEAR = ("attribute-access", "execmodel", "naming", "try", "typesseq")
FAR = ("load_wine", "load_iris", "load_breast_cancer", "load_digits", "load_diabetes")


def passages(text, *, words=24):
    """Up to 200 passages of so many words, none overlapping, each behind a token to look from."""
    found = text.split()
    starts = range(0, len(found) - words, words)
    return ["<|end|>" + " ".join(found[i : i + words]) for i in starts][:200]


tokenizer = toy_tokenizer([topics[name] for name in KNOWN + AUXILIARY], vocabulary=1024)
encoded = partial(
    tokenizer, padding="max_length", truncation=True, max_length=48,
    return_tensors="pt", return_token_type_ids=False,
)  # fmt: skip


def labelled(pairs):
    """Rows as the network takes them, with their topics."""
    texts, labels = zip(*pairs, strict=True)
    return {**encoded(list(texts)), "labels": torch.tensor(labels)}


def unlabelled(texts):
    """Rows without."""
    return dict(encoded([passage for text in texts for passage in passages(text)]))


told = [(text, number) for number, name in enumerate(KNOWN) for text in passages(topics[name])]
known, test = labelled([pair for i, pair in enumerate(told) if i % 3]), labelled(told[::3])
auxiliary = unlabelled(topics[name] for name in AUXILIARY)
near = unlabelled(topics[name] for name in NEAR)
far = unlabelled(getattr(datasets, name)().DESCR for name in FAR)

# %%
# A small BERT
# ------------
# Rows are dicts of tensors. The classifier's head is found by its name, and what enters it are the
# features. ``limen.fit`` takes any optimiser.

with torch.random.fork_rng():
    torch.manual_seed(0)
    before = BertForSequenceClassification(
        BertConfig(
            vocab_size=1024, hidden_size=64, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=128, max_position_embeddings=48, num_labels=len(KNOWN),
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.1,
        )
    )  # fmt: skip
adam = partial(torch.optim.AdamW, lr=2e-3)
limen.fit(before, ood.Step(), ood.pairs(known, batch=32), steps=120, optimizer=adam)

# %%
# Outliers to learn from
# ----------------------
# Outlier exposure (OE), DAL around the outliers in feature space, and DOE with the encoder's
# matrices perturbed by a hundredth of their length. The weight that is usual for text is 1. Beside
# them, so that it is the outliers that are compared: as many more steps on the known topics alone.

objectives = {
    "no outliers": None,
    "OE": ood.OutlierExposure(),
    "DAL": ood.DAL(),
    "DOE": ood.DOE(strength=0.01, layers="encoder"),
}
networks = {"before": before}
for name, objective in objectives.items():
    networks[name] = copy.deepcopy(before)
    limen.fit(
        networks[name],
        ood.Step(outlier=objective),
        ood.pairs(known, auxiliary if objective else None, batch=32, outlier_batch=32),
        steps=60,
        optimizer=partial(torch.optim.AdamW, lr=1e-3),
        combine=limen.Weighted(outlier=1.0) if objective else limen.Weighted(),
    )

# %%
# Judged on topics that nobody learned
# ------------------------------------
# AUROC with DeLong's interval, and how many known passages are given their topic.

sets = {"train": known, "id": test, "near": near, "far": far}
for name, network in networks.items():
    bank = FeatureBank.extract(network, sets)
    judged = ood.judge(bank, outliers=["near", "far"], scores=[ood.msp, ood.Mahalanobis()])
    for score, outliers, area, *_, accuracy in judged.rows:
        if outliers != "all":
            print(f"{name:12} {score:12} {outliers:5} {area}   accuracy {accuracy:.3f}")
