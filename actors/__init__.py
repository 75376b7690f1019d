"""Actors that a config names as ``actors.<file>:<Class>``; one file, one actor.

An actor listens and publishes on the bus, and never trades. It derives from `GuardedActor`.
"""
