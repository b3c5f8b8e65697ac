"""Hugging Face Trainer: a tiny vision transformer that begins at random learns handwritten digits.

Nothing is downloaded. The lines that a search needs are marked.
"""

import torch
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset, random_split
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

from trainables.adapters.transformers import ReportCallback  # 1


def collate(rows):
    pixels, labels = zip(*rows, strict=True)
    return {"pixel_values": torch.stack(pixels), "labels": torch.stack(labels)}


def accuracy(prediction):
    return {"accuracy": (prediction.predictions.argmax(1) == prediction.label_ids).mean()}


def train(config, context):  # 2
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    data = TensorDataset(images, torch.tensor(labels))
    training, validation = random_split(data, [0.8, 0.2], torch.Generator().manual_seed(0))
    model = ViTForImageClassification(
        ViTConfig(
            image_size=8,
            patch_size=2,
            num_channels=1,
            hidden_size=config["width"],
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=2 * config["width"],
            hidden_dropout_prob=config["dropout"],
            num_labels=10,
        )
    )
    report = ReportCallback(context)  # 3
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=str(context.folder),
            num_train_epochs=context.max_epochs,
            per_device_train_batch_size=config["batch_size"],
            learning_rate=config["lr"],
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            seed=context.seed,
            report_to="none",
            disable_tqdm=True,
            use_cpu=context.device.type == "cpu",
        ),
        collate,
        training,
        validation,
        compute_metrics=accuracy,
        callbacks=[report],  # 4
    )
    trainer.train(resume_from_checkpoint=report.checkpoint)  # 5
