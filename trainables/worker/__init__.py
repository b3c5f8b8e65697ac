"""The process that trains one configuration after the other."""
