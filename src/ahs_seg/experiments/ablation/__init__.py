"""Ablation tables: experiments run over several seeds and compared with a baseline, paired by seed."""
