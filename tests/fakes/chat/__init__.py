"""A scripted chat model. It writes tasks with the habits of real chat models, and records the tasks that it meant."""
