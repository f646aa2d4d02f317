"""What these paths say in words, in the language that is asked for.

Clients of Hanzo IAM and Casdoor show `msg` to people, and some compare it with the English sentence:
those that they compare stand here word for word. What has no sentence here is said in English.
"""

from typing import Literal

from starlette.requests import Request

Language = Literal["en", "de", "es", "fr", "ja", "zh"]
DEFAULT: Language = "en"

SENTENCES: dict[str, dict[Language, str]] = {
    "sign_in_first": {
        "en": "Please login first",
        "de": "Bitte melden Sie sich zuerst an",
        "es": "Por favor, inicie sesión primero",
        "fr": "Veuillez d'abord vous connecter",
        "ja": "先にログインしてください",
        "zh": "请先登录",
    },
    "sign_in_again": {
        "en": "Your sign-in is too long ago for this, please login again",
        "de": "Dafür ist Ihre Anmeldung zu lange her, bitte melden Sie sich erneut an",
        "es": "Su inicio de sesión es demasiado antiguo para esto, inicie sesión de nuevo",
        "fr": "Votre connexion est trop ancienne pour cela, veuillez vous reconnecter",
        "ja": "この操作にはログインからの時間が経ちすぎています。再度ログインしてください",
        "zh": "此操作需要近期登录，请重新登录",
    },
    "denied": {
        "en": "Unauthorized operation",
        "de": "Nicht autorisierter Vorgang",
        "es": "Operación no autorizada",
        "fr": "Opération non autorisée",
        "ja": "許可されていない操作です",
        "zh": "未授权的操作",
    },
    "current_session": {
        "en": "session id {id} is the current session and cannot be deleted",
        "de": "Die Sitzung {id} ist die aktuelle Sitzung und kann nicht gelöscht werden",
        "es": "la sesión {id} es la sesión actual y no se puede eliminar",
        "fr": "la session {id} est la session actuelle et ne peut pas être supprimée",
        "ja": "セッション {id} は現在のセッションのため削除できません",
        "zh": "会话 {id} 是当前会话，无法删除",
    },
    "token_unknown": {
        "en": "Access token doesn't exist in database",
        "de": "Das Zugriffstoken ist nicht bekannt",
        "es": "El token de acceso no existe",
        "fr": "Le jeton d'accès n'existe pas",
        "ja": "アクセストークンが存在しません",
        "zh": "访问令牌不存在",
    },
    "session_over": {
        "en": "The session has ended, please login again",
        "de": "Die Sitzung ist beendet, bitte melden Sie sich erneut an",
        "es": "La sesión ha terminado, inicie sesión de nuevo",
        "fr": "La session est terminée, veuillez vous reconnecter",
        "ja": "セッションは終了しました。再度ログインしてください",
        "zh": "会话已结束，请重新登录",
    },
    "session_locked": {
        "en": "The session is locked, please unlock it with your password",
        "de": "Die Sitzung ist gesperrt, bitte entsperren Sie sie mit Ihrem Passwort",
        "es": "La sesión está bloqueada, desbloquéela con su contraseña",
        "fr": "La session est verrouillée, déverrouillez-la avec votre mot de passe",
        "ja": "セッションはロックされています。パスワードで解除してください",
        "zh": "会话已锁定，请使用密码解锁",
    },
    "client_unknown": {
        "en": "Incorrect client ID or client secret",
        "de": "Client-ID oder Client-Secret ist falsch",
        "es": "ID o secreto de cliente incorrecto",
        "fr": "Identifiant ou secret de client incorrect",
        "ja": "クライアント ID またはクライアントシークレットが正しくありません",
        "zh": "客户端 ID 或客户端密钥不正确",
    },
    "wrong_password": {
        "en": "password or code is incorrect",
        "de": "Passwort oder Code ist falsch",
        "es": "la contraseña o el código es incorrecto",
        "fr": "le mot de passe ou le code est incorrect",
        "ja": "パスワードまたはコードが正しくありません",
        "zh": "密码或验证码不正确",
    },
    "too_many_attempts": {
        "en": "Too many failed attempts, please wait {seconds} seconds and try again",
        "de": "Zu viele Fehlversuche, bitte warten Sie {seconds} Sekunden",
        "es": "Demasiados intentos fallidos, espere {seconds} segundos e inténtelo de nuevo",
        "fr": "Trop de tentatives, veuillez patienter {seconds} secondes et réessayer",
        "ja": "失敗した試行が多すぎます。{seconds} 秒後に再度お試しください",
        "zh": "失败次数过多，请在 {seconds} 秒后重试",
    },
    "too_many_sessions": {
        "en": "You are signed in in as many places as allowed",
        "de": "Sie sind bereits an so vielen Orten angemeldet, wie erlaubt ist",
        "es": "Ya ha iniciado sesión en tantos lugares como se permite",
        "fr": "Vous êtes déjà connecté à autant d'endroits qu'autorisé",
        "ja": "許可されている数だけ既にログインしています",
        "zh": "您已在允许的最大数量的位置登录",
    },
    "begin_again": {
        "en": "Nothing is being set up, or it was begun too long ago: start again",
        "de": "Es wird nichts eingerichtet, oder der Anfang ist zu lange her: Bitte neu beginnen",
        "es": "No hay ninguna configuración en curso, o comenzó hace demasiado: empiece de nuevo",
        "fr": "Aucune configuration en cours, ou commencée il y a trop longtemps : recommencez",
        "ja": "設定中のものがないか、開始から時間が経ちすぎています。最初からやり直してください",
        "zh": "没有正在进行的设置，或开始时间过久，请重新开始",
    },
    "wrong_code": {
        "en": "This code is not right, or it was used before",
        "de": "Dieser Code ist falsch oder wurde schon benutzt",
        "es": "Este código no es correcto o ya se ha utilizado",
        "fr": "Ce code est incorrect ou a déjà été utilisé",
        "ja": "このコードは正しくないか、既に使用されています",
        "zh": "验证码不正确或已被使用",
    },
    "factor_exists": {
        "en": "There is a second factor already. Remove it first.",
        "de": "Es gibt schon einen zweiten Faktor. Entfernen Sie ihn zuerst.",
        "es": "Ya hay un segundo factor. Elimínelo primero.",
        "fr": "Il y a déjà un second facteur. Supprimez-le d'abord.",
        "ja": "二要素認証は既に設定されています。先に削除してください。",
        "zh": "已设置第二因素，请先将其移除。",
    },
    "factor_missing": {
        "en": "There is no second factor.",
        "de": "Es gibt keinen zweiten Faktor.",
        "es": "No hay ningún segundo factor.",
        "fr": "Il n'y a pas de second facteur.",
        "ja": "二要素認証は設定されていません。",
        "zh": "没有设置第二因素。",
    },
    "code_needed": {
        "en": "Send a code of your authenticator app as well, as passcode.",
        "de": "Senden Sie auch einen Code Ihrer Authenticator-App, als passcode.",
        "es": "Envíe también un código de su aplicación de autenticación, como passcode.",
        "fr": "Envoyez aussi un code de votre application d'authentification, dans passcode.",
        "ja": "認証アプリのコードも passcode として送信してください。",
        "zh": "请同时以 passcode 发送身份验证器应用的验证码。",
    },
    "step_over": {
        "en": "expired user session",
        "de": "Die Anmeldung hat zu lange gedauert, bitte von vorn beginnen",
        "es": "la sesión de inicio ha caducado, empiece de nuevo",
        "fr": "la connexion a expiré, veuillez recommencer",
        "ja": "ログインの有効期限が切れました。最初からやり直してください",
        "zh": "登录已过期，请重新开始",
    },
    "code_missing": {
        "en": "missing passcode or recovery code",
        "de": "Code oder Wiederherstellungscode fehlt",
        "es": "falta el código o el código de recuperación",
        "fr": "code ou code de récupération manquant",
        "ja": "コードまたはリカバリーコードがありません",
        "zh": "缺少验证码或恢复代码",
    },
    "factor_kind": {
        "en": "Invalid multi-factor authentication type",
        "de": "Unbekannte Art der Multi-Faktor-Authentifizierung",
        "es": "Tipo de autenticación multifactor no válido",
        "fr": "Type d'authentification multifacteur invalide",
        "ja": "多要素認証の種類が無効です",
        "zh": "无效的多因素认证类型",
    },
    "other_way": {
        "en": "Use the sign-in page for this way to sign in.",
        "de": "Nutzen Sie dafür bitte die Anmeldeseite.",
        "es": "Use la página de inicio de sesión para este método.",
        "fr": "Utilisez la page de connexion pour cette méthode.",
        "ja": "この方法ではログインページをご利用ください。",
        "zh": "请使用登录页面以此方式登录。",
    },
    "choose_first": {
        "en": "Too many sessions: use the sign-in page to choose which one ends.",
        "de": "Zu viele Sitzungen: Wählen Sie auf der Anmeldeseite, welche endet.",
        "es": "Demasiadas sesiones: elija en la página de inicio de sesión cuál termina.",
        "fr": "Trop de sessions : choisissez sur la page de connexion laquelle se termine.",
        "ja": "セッションが多すぎます。終了するものをログインページで選択してください。",
        "zh": "会话过多：请在登录页面选择要结束的会话。",
    },
    "no_application": {
        "en": "The application: {name} does not exist",
        "de": "Die Anwendung {name} gibt es nicht",
        "es": "La aplicación: {name} no existe",
        "fr": "L'application : {name} n'existe pas",
        "ja": "アプリケーション: {name} は存在しません",
        "zh": "应用: {name} 不存在",
    },
    "unavailable": {
        "en": "This is not available right now, please try again in a moment",
        "de": "Das ist gerade nicht verfügbar, bitte versuchen Sie es gleich noch einmal",
        "es": "No disponible en este momento, inténtelo de nuevo en un instante",
        "fr": "Indisponible pour le moment, veuillez réessayer dans un instant",
        "ja": "現在利用できません。しばらくしてから再度お試しください",
        "zh": "暂时不可用，请稍后重试",
    },
}


def language_of(request: Request) -> Language:
    """The first two letters of Accept-Language, as those servers take it; else English."""
    asked = request.headers.get("accept-language", "").strip()[:2].lower()
    known: dict[str, Language] = {one: one for one in SENTENCES["denied"]}
    return known.get(asked, DEFAULT)


def sentence(key: str, language: Language, **values: object) -> str:
    """The sentence in this language."""
    return SENTENCES[key][language].format(**values)
