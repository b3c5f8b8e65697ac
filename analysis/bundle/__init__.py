"""The bundle: a folder with weights, configuration and a model card."""
