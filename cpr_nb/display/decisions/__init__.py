"""What a decision rests on: a sentence, a picture, a table and the method, in this order."""
