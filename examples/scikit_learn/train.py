"""scikit-learn: no epochs, so each trial reports once."""

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split


def train(config, context):
    inputs, labels = load_digits(return_X_y=True)
    training, validation, known, expected = train_test_split(inputs, labels, random_state=0)
    model = RandomForestClassifier(
        n_estimators=config["trees"],
        max_features=config["features"],
        min_samples_leaf=config["leaf"],
        random_state=context.seed,
    )
    return {"val_accuracy": model.fit(training, known).score(validation, expected)}
