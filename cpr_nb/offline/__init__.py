"""Offline stand-ins for the network services that cpr_nb talks to, for tests and demos."""
