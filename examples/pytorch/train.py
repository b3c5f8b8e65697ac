"""Plain PyTorch, with a DataLoader that has processes. The lines for a search are marked."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def train(config, context):  # 1
    pixels, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels))
    training, validation = random_split(data, [0.8, 0.2], torch.Generator().manual_seed(0))
    loader = DataLoader(training, config["batch_size"], shuffle=True, num_workers=2)
    model = nn.Sequential(
        nn.Linear(64, config["width"]), nn.ReLU(), nn.Linear(config["width"], 10)
    ).to(context.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=config["momentum"])
    if (state := context.load()) is not None:  # 2
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for _ in range(context.epoch, context.max_epochs):  # 3
        for inputs, targets in loader:
            outputs = model(inputs.to(context.device))
            optimizer.zero_grad()
            nn.functional.cross_entropy(outputs, targets.to(context.device)).backward()
            optimizer.step()
        with torch.no_grad():
            inputs, targets = validation[:]
            outputs = model(inputs.to(context.device)).cpu()
        context.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()})  # 4
        context.report({"val_accuracy": (outputs.argmax(1) == targets).float().mean()})  # 5
