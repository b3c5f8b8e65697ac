"""The contenders: each is a process of its own, given a job, a seed and a folder."""
