"""Views of a run that can be rebuilt from its journal: TensorBoard files, optuna.log, the table."""
