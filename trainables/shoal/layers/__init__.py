"""What the network of a shoal is made of: each layer of a plain model, for all lanes at once."""
