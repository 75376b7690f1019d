"""What a run shows of itself: figures, a terminal summary and a page.

Contract: this folder only reads. `run_folder.Run` opens a finished run folder and refuses one that
is missing, incomplete, foreign or newer. `run_record` and `run_tables` are the one description of
what such a folder holds; whoever writes a run folder writes these. `stats.compute_stats` makes the
figures once, when the run ends; summary, page and comparison only show them, so that they agree.

The word that claims a real advantage appears only through `luck.judge` (see there).
"""
