"""Lightning: handwritten digits. The lines that a search needs are marked."""

import lightning.pytorch as lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from trainables.adapters.lightning import ReportCallback  # 1


class Digits(lightning.LightningModule):
    def __init__(self, width, dropout, lr):
        super().__init__()
        self.lr = lr
        self.network = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10)
        )

    def training_step(self, batch, index):
        inputs, targets = batch
        loss = nn.functional.cross_entropy(self.network(inputs), targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        inputs, targets = batch
        outputs = self.network(inputs)
        self.log("val_loss", nn.functional.cross_entropy(outputs, targets))
        self.log("val_accuracy", (outputs.argmax(1) == targets).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def train(config, context):  # 2
    pixels, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels))
    splits = random_split(data, [0.8, 0.2], torch.Generator().manual_seed(0))
    report = ReportCallback(context)  # 3
    trainer = lightning.Trainer(
        max_epochs=context.max_epochs,
        callbacks=[report],  # 4
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(
        Digits(config["width"], config["dropout"], config["lr"]),
        DataLoader(splits[0], batch_size=config["batch_size"], shuffle=True),
        DataLoader(splits[1], batch_size=360),
        ckpt_path=report.checkpoint,  # 5
    )
