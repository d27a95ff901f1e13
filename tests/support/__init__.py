"""What several tests share: oracles, strategies and small networks. Importable as `support`."""
