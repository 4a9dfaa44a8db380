"""What several tests share: factories, simulations, references and the command as a process."""
