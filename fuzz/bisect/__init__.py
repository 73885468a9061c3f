"""Since when a finding fails, and until when: over releases of its backend, or commits of a repository."""
