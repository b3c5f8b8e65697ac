"""Signal and gradient through depth; when a training has diverged."""
