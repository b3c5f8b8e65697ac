"""What the name of a metric tells: which values are the better ones, and which there can be."""

from __future__ import annotations

import re
from typing import Literal

_LOWER = """
    loss losses logloss error errors err rmse mse mae mape smape rmsle msle medae nrmse wape mase
    nll ce bce kl kld crossentropy entropy perplexity ppl bpc bpb wer cer eer ece brier crps fid
    regret
"""
_HIGHER = """
    accuracy acc auc auroc auprc aucpr f1 fscore precision recall sensitivity specificity r2 score
    iou miou dice jaccard map ap ndcg mrr mcc kappa bleu rouge psnr ssim likelihood reward
"""
_SHARES = """
    accuracy acc auc auroc auprc aucpr f1 fscore precision recall sensitivity specificity iou miou
    dice jaccard map ap ndcg mrr
"""
_NEGATIVE = ("neg", "negative", "minus")


def usual_mode(name: str) -> Literal["min", "max"] | None:
    """What the last word of a metric's name says: ``val_rmse`` → min; None for an unknown word.

    Words end at anything but a letter or a digit, and before a capital (``valLoss``). The score of
    a loss is a loss (``brier_score``), and a negative of something tells nothing: some libraries
    turn the sign round (``neg_log_loss``), some do not.
    """
    words = _words(name)
    if not words or any(word in _NEGATIVE for word in words):
        return None
    lower = [word in _LOWER.split() for word in words]
    if lower[-1] or (words[-1] == "score" and any(lower)):
        return "min"
    return "max" if words[-1] in _HIGHER.split() else None


def is_accuracy(name: str) -> bool:
    """Whether a metric's name says that it is the share of samples that are right."""
    return _subject(name) in ("accuracy", "acc")


def is_share(name: str) -> bool:
    """Whether a metric of that name usually lies between 0 and 1: ``val_f1``, ``auc_score``."""
    return _subject(name) in _SHARES.split()


def is_error_rate(name: str) -> bool:
    """Whether a metric's name says that it is the share of samples that are wrong."""
    return _subject(name) in ("error", "errors", "err")


def _subject(name: str) -> str:
    """The word that says what a metric is; the score of an F1 is an F1."""
    words = _words(name)
    if len(words) > 1 and words[-1] == "score":
        return words[-2]
    return words[-1] if words else ""


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]*[a-z0-9]+|[A-Z0-9]+", name)]
