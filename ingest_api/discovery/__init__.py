"""Who serves what, and where: a registry with heartbeats in Postgres, in the words of this API and of Eureka."""
