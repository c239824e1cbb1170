"""The configuration, its checks, and what each rule and job is told."""
