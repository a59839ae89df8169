"""Config: cit.toml and team.toml as typed values, or all their faults at once."""
