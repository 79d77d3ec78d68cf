"""What is a matter of convention: how ties are broken, another forward pass or reduction, and another geometry."""
