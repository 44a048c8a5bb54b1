"""The stack in containers: what its images run besides the services (see deploy/Dockerfile, docker-compose.yml)."""
