import os
import smtplib
from email.message import EmailMessage

mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = "a@example.com", os.environ["TO"], "Hello"
mail.set_content(os.environ["TEXT"])
with smtplib.SMTP(os.environ["HOST"], int(os.environ["PORT"])) as server:
    server.send_message(mail)
