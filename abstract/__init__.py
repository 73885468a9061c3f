"""What a valid model is: types, dimensions, constraints, operators, and the reference with its error bound."""
