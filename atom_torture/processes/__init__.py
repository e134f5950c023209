"""Tier B: real processes, signals, a server that is killed, and a proxy that breaks the connections between them.

The program is run as its user runs it, and everything it talks to lies behind the proxy.
"""
